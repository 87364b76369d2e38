"""What a tiling asks of its machine: words between tiles, work of tiles and of the cores around them."""
