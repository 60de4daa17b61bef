"""What the house does: conversations, routing, context, costs."""
