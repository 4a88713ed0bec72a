"""What the users of five other memory systems call, answered by this one.

A module each, with that system's names, defaults, orders and answers. They stand on the client alone and nothing but memoryctl
stands on them; what a system needs beyond the primitives is said in its module.
"""
