"""What a user would otherwise pick, each as its documentation recommends it."""
