"""Answers what is not JSON. {"how": "nan" | "infinity" | "set" | "bytes" | "keys" | "circle" | "deep"}"""


def handler(event, context):
    how = event.get("how", "nan")
    if how == "circle":
        circle = []
        circle.append(circle)
        return circle
    if how == "deep":
        deep = []
        for _ in range(100_000):
            deep = [deep]
        return deep
    return {
        "nan": float("nan"),
        "infinity": [float("inf")],
        "set": {1, 2},
        "bytes": b"bytes",
        "keys": {(1, 2): 3},
    }[how]
