"""The pages people read: views, their rendering, and the routes that join them to the services."""
