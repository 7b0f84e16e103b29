"""Hostile HTTP requests, made of a valid request of two rows; the second row carries the hostile values."""

import json
import random
from urllib.parse import quote

from hostile_requests import (
    ANSWERED,
    ANY,
    DAMAGE,
    INTEGERS,
    ISOLATED,
    REFUSED,
    TEXTS,
    HostileRequest,
    integer,
    number,
    text,
    two_rows,
)

BASE64 = ['{"b64": "/w=="}', '{"b64": ""}', '{"b64": "gICAgA=="}']
NEVER_VALID = ["null", "{}", '{"a": 1}', "[1]", "[]", '{"b64": 5}', '{"b64": "%%"}', '{"b64": null}']
# By type of the column: JSON values that are valid, and values that are not.
VALUES = {
    int: ([str(value) for value in INTEGERS],
          ["9223372036854775808", "-9223372036854775809", "1.5", "1e2", "true", '"5"', "9" * 5000, "NaN", "Infinity"]),
    float: (["NaN", "Infinity", "-Infinity", "3.4e38", "1e-400", "-0.0", "16777215"],
            ["1e39", "16777217", "9" * 400, "true", '"0.5"']),
    str: ([json.dumps(text) for text in TEXTS] + BASE64, ["5", "1.5", "true"]),
}


def http_request(path, body, method="POST", *headers):
    """All bytes of a request; ``headers`` replace Content-Length."""
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", *(headers or [f"Content-Length: {len(body)}"])]
    return "\r\n".join([*head, "", ""]).encode("latin-1", "replace") + body


def texts(rows):
    """JSON text by column, for each row."""
    return [{column: json.dumps(value) for column, value in row.items()} for row in rows]


def as_rows(rows):
    return '{"instances": [' + ", ".join(as_object(row) for row in rows) + "]}"


def as_columns(rows):
    return '{"inputs": ' + as_object({column: "[" + ", ".join(row[column] for row in rows) + "]"
                                      for column in rows[0]}) + "}"


def as_object(fields):
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in fields.items()) + "}"


# Attacks on the body of a predict request: each returns what the server must do, and the body.

def valid_value(rng, rows):
    column = rng.choice(sorted(rows[0]))
    one, two = texts(rows)
    kind = type(rows[0][column])
    drawn = {int: lambda: str(integer(rng)), float: lambda: json.dumps(number(rng)), str: lambda: json.dumps(text(rng))}
    value = rng.choice([rng.choice(VALUES[kind][0]), drawn[kind]()])
    return ANSWERED, rng.choice([as_rows, as_columns])([one, two | {column: value}])


def invalid_value(rng, rows):
    column = rng.choice(sorted(rows[0]))
    one, two = texts(rows)
    value = rng.choice(VALUES[type(rows[0][column])][1] + NEVER_VALID)
    return REFUSED, rng.choice([as_rows, as_columns])([one, two | {column: value}])


def half_character(rng, rows):
    one, two = texts(rows)
    column = rng.choice([name for name, value in rows[0].items() if isinstance(value, str)])
    return ISOLATED, rng.choice([as_rows, as_columns])([one, two | {column: '"\\ud83d"'}])


def deep_column(rng, rows):
    """A complete request in which one column is nested."""
    one, two = texts(rows)
    depth = rng.choice([2, rng.randrange(3, 900), rng.randrange(900, 1000), rng.randrange(1000, 100_000)])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}"), ('{"b64":', "}")])
    return REFUSED, rng.choice([as_rows, as_columns])(
        [one, two | {rng.choice(sorted(rows[0])): opening * depth + "1" + closing * depth}])


def other_columns(rng, rows):
    """A column is missing, or has no value in one row."""
    one, two = texts(rows)
    column = rng.choice(sorted(one))
    del two[column]
    if rng.random() < 0.5:
        return REFUSED, as_rows([one, two])
    del one[column]
    return REFUSED, rng.choice([as_rows, as_columns])([one, two])


def additional_columns(rng, rows):
    one, two = (row | {f"{text(rng)[:50]} {position}": "1" for position in range(rng.choice([1, 1, 2000]))}
                for row in texts(rows))
    return REFUSED, as_rows([one, two])


def other_length(rng, rows):
    columns = {column: json.dumps([row[column] for row in rows]) for column in rows[0]}
    column = rng.choice(sorted(columns))
    columns[column] = json.dumps([rows[0][column]] * rng.choice([0, 1, rng.randrange(3, 50_000)]))
    return REFUSED, '{"inputs": ' + as_object(columns) + "}"


def too_many_rows(rng, rows):
    return REFUSED, as_columns([texts(rows)[0]] * 100_001)


def other_form(rng, rows):
    good = as_rows(texts(rows))
    return REFUSED, rng.choice([
        "[]", "5", "null", '"x"', "{}", '{"instances": []}', '{"inputs": null}', '{"inputs": []}', '{"inputs": 5}',
        '{"instances": [5, 6]}', '{"instances": {"a": 1}}', good[:-1] + ', "inputs": {}}', good + good,
        good[:-1] + ', "signature_name": 5}', good[:-1] + ', "signature_name": "absent"}',
        good[:-1] + ', "signature_name": "\\ud800"}', good[:-1] + ', "signature_name": ' + json.dumps(text(rng)) + "}",
        good[:-1] + ', "signature_name": "user_embedding"}', '{"inputs": {"b64": "%"}}'])


def repeated_key(rng, rows):
    good = as_columns(texts(rows))
    return ANY, good[:-2] + ", " + good[len('{"inputs": {'):]


def other_encoding(rng, rows):
    good = as_rows(texts(rows))
    return ANY, good.encode(rng.choice(["utf-16", "utf-32-le", "utf-8-sig", "latin-1"]), "replace")


BODY_ATTACKS = [valid_value, invalid_value, invalid_value, half_character, deep_column, deep_column, other_columns,
                additional_columns, other_length, other_form, repeated_key, other_encoding]


def predict(rng, path, rows):
    attack = too_many_rows if rng.random() < 0.01 else rng.choice(BODY_ATTACKS)
    expected, body = attack(rng, rows)
    encoded = body if isinstance(body, bytes) else body.encode()
    return attack.__name__, expected, http_request(f"{path}:predict", encoded)


def examples(rng, path, rows):
    """Classify and Regress."""
    one, two = texts(rows)
    two[rng.choice([*two, "bogus", "\ud800"])] = rng.choice(
        [*VALUES[int][0], *VALUES[int][1], *VALUES[str][0], *NEVER_VALID, '"\\ud83d"', "[1, 2.5]", "[[1], [2]]"])
    verb = rng.choice(["classify", "regress"])
    fields = {"signature_name": json.dumps(rng.choice([verb, verb, "absent", ""])),
              "examples": rng.choice([f"[{as_object(one)}, {as_object(two)}]", "[]", "5", "[5]", "null"])}
    if rng.random() < 0.3:
        fields["context"] = rng.choice([as_object(two), "5", "null", "[]", '{"user_id": null}'])
    return verb, ANY, http_request(f"{path}:{verb}", as_object(fields).encode())


def damaged_body(rng, path, rows):
    damage = rng.choice(DAMAGE)
    body = damage(rng, rng.choice([as_rows, as_columns])(texts(rows)).encode())
    return damage.__name__, ANY, http_request(f"{path}:{rng.choice(['predict', 'classify', 'regress'])}", body)


def other_path(rng, path, rows):
    body = as_rows(texts(rows)).encode()
    odd = rng.choice([path, f"{path}:", f"{path}:Predict", f"{path}/versions/x:predict", f"{path}/versions/7:predict",
                      f"{path}/versions/99999999999999999999:predict", f"{path}/versions/9223372036854775808:predict",
                      f"{path}/labels/x:predict", f"{path}/labels/%ff:predict", "/v1/models/:predict",
                      "/v1/models/absent:predict", "/v1/models/%00:predict", "/v1/models/%ed%a0%80:predict",
                      "/v1/models/../../etc:predict", "/", "//", "*", "http://[x/v1", "/" + "a" * 60_000,
                      "/" + "a" * 70_000, f"/v1/models/{quote(text(rng)[:500])}:predict",
                      f"{path}/versions/{rng.getrandbits(63) + 2}:predict",
                      f"{path}/labels/{quote(text(rng)[:500])}:predict", f"{path}:predict/../x"])
    method = rng.choice(["POST", "POST", "POST", "PUT", "DELETE", "OPTIONS", "BREW"])
    return "other_path", REFUSED, http_request(odd, body, method)


def other_head(rng, path, rows):
    """Invalid request lines, lengths and headers."""
    body, url = as_rows(texts(rows)).encode(), f"{path}:predict"
    size = f"Content-Length: {len(body)}"
    content = rng.choice([
        http_request(url, body, "POST", "Content-Length: 99999999999999"),
        http_request(url, body, "POST", "Content-Length: -1"), http_request(url, body, "POST", "Content-Length: x"),
        http_request(url, body, "POST", "Content-Length: "), http_request(url, body, "POST", "X: no length"),
        http_request(url, body, "POST", f"Content-Length: {len(body) + 10}"),
        http_request(url, body, "POST", f"Content-Length: {len(body) - 10}"),
        http_request(url, b"5\r\n{    \r\n0\r\n\r\n", "POST", "Transfer-Encoding: chunked"),
        http_request(url, body, "POST", size, *(f"X-{position}: 1" for position in range(200))),
        http_request(url, body, "POST", size, "X: " + "a" * 70_000), http_request(url, body, "POST", size, "no colon"),
        http_request(url, body, "PO ST"), http_request(url, body, ""), b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", rng.randbytes(200) + b"\r\n\r\n",
        rng.randbytes(20) + b" / HTTP/1.1\r\n\r\n",
        http_request(url, body, "POST", size, f"X: {rng.getrandbits(64)}\0"),
        http_request(url, body, "POST", size, f"Content-Length: {rng.getrandbits(20)}"),
        http_request(url, body).replace(b"HTTP/1.1", rng.choice([b"HTTP/9.9", b"HTTP/x", b"FTP/1.1", b""]), 1)])
    return "other_head", ANY, content


KINDS = [predict, predict, predict, examples, damaged_body, other_path, other_head]


def rest_request(seed, name, rows):
    """Returns a hostile request to model ``name``.

    Args:
      seed: the same seed returns the same request.
      name: name of the served model.
      rows: valid rows.
    """
    rng = random.Random(seed)
    attack, expected, content = KINDS[seed % len(KINDS)](rng, f"/v1/models/{name}", two_rows(rng, rows))
    return HostileRequest(f"REST {seed} {attack}", expected, "", content)
