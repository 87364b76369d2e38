"""Composed operators: quantised and fused ones, written as a layer with digital steps around it."""
