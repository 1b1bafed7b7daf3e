"""Writes an OpenAPI document of `POST /v1/events` around the JSON Schema of its events (the argument)."""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    event = json.loads(file.read().replace("#/$defs/", "#/components/schemas/"))
schemas = event.pop("$defs", {})
event.pop("$schema", None)
schemas["Event"] = event
one = {"$ref": "#/components/schemas/Event"}
problem = {"application/problem+json": {"schema": {"type": "object", "required": ["type", "title", "status", "code"]}}}
statuses = ["400", "401", "403", "413", "415", "422", "429", "503"]
document = {
    "openapi": "3.1.0",
    "info": {"title": "Usage events", "version": "1"},
    "paths": {
        "/v1/events": {
            "post": {
                "operationId": "send_events",
                "security": [{"key": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/cloudevents+json": {"schema": one},
                        "application/cloudevents-batch+json": {"schema": {"type": "array", "items": one}},
                    },
                },
                "responses": {
                    "202": {
                        "description": "Taken, as far as the answer says",
                        "content": {"application/json": {"schema": {"type": "object", "required": ["accepted", "rejected"]}}},
                    }
                }
                | {status: {"description": "Refused", "content": problem} for status in statuses},
            }
        }
    },
    "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
}
json.dump(document, sys.stdout, indent=1)
