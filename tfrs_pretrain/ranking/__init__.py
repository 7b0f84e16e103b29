"""Stage II: the ranking model, warm-started from pretrained rows and fine-tuned with online distillation."""
