"""Webhook deliveries in Airflow: received by the API server, told as asset events and to waiting tasks."""
