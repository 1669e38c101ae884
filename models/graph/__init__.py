"""What a cell is: a step of equations, traced once into a graph, and all that is read off it."""
