"""Who is told: a durable outbox, rendering, Telegram and the console."""
