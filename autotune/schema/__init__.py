"""The nouns: frozen, validated once, without input or output."""
