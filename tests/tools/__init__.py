"""Programs for people: ``demo`` (`make demo`) and ``ui`` (`make airflow`), both on a ``stage``."""
