"""Numbers from spec sheets and arithmetic; nothing learned."""
