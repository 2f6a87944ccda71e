def handler(event, context):
    name = event.get("name", "world")
    print("saying hello to", name)
    return {"hello": name}
