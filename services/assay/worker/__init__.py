"""The lease loop and the engines that infer and judge workers share."""
