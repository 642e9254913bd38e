"""Compares our tokenizers with what the `tokenizers` library gave (tests/fixtures/tokenizers/generate.py).

    python tokenizer_parity.py DRIVER NAME [GGUF]

NAME is a key of expected.json: a file of tiny/, or one that ends in -gguf. Those are checked once more after a round trip
through tokenizer_to_json. Their metadata stands in gguf/, that of smollm2-gguf in the file GGUF.
"""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "tokenizers"
sys.dont_write_bytecode = True
sys.path.insert(0, str(FIXTURES))
import cases  # noqa: E402

# One of each kind reads all task texts; for the rest a twelfth is enough.
EVERY_TEXT = {"smollm2-gguf", "llama2"}
failures = []


def check(what, ok, detail=""):
    if not ok:
        failures.append(what)
        print(f"FAILED {what} {detail}")


def ask(arguments, requests):
    """Answers of the driver to (kind, payload) requests."""
    sent = b"".join(b"%s %d\n" % (kind.encode(), len(payload)) + payload for kind, payload in requests)
    got = subprocess.run(arguments, input=sent, stdout=subprocess.PIPE, check=True).stdout
    answers, at = [], 0
    while at < len(got):
        line_end = got.index(b"\n", at)
        size = int(got[at:line_end])
        answers.append(got[line_end + 1 : line_end + 1 + size])
        at = line_end + 1 + size
    assert len(answers) == len(requests), "the driver stopped early"
    return answers


def compare(arguments, want, byte_level):
    texts = cases.case_texts(want["special"])
    payloads = [text.encode() for text in texts]
    encoded = ask(arguments, [("e", p) for p in payloads])
    for i, ids in enumerate(encoded):
        right = want["encode"][8 * i : 8 * i + 8] == cases.short_digest(ids)
        check("encode", right, f"{texts[i]!r}: got {struct.unpack(f'<{len(ids) // 4}i', ids)}")
    check("without special tokens", cases.digest(ask(arguments, [("n", p) for p in payloads])) == want["encode_plain"])
    check("special text as text", cases.digest(ask(arguments, [("u", p) for p in payloads])) == want["encode_untrusted"])
    decoded = ask(arguments, [("d", ids) for ids in encoded])
    check("decode", cases.digest(decoded) == want["decode"])
    streamed = ask(arguments, [("s", ids) for ids in encoded])
    for text, whole, stream in zip(texts, decoded, streamed):
        check("stream equals decode", whole == stream, f"{text!r}: {whole!r} but {stream!r}")
    ids = [cases.pack(i) for i in cases.random_ids(want["vocab_size"])]
    decoded = ask(arguments, [("d", i) for i in ids])
    check("decode of random ids", cases.digest(decoded) == want["decode_random"])
    if byte_level:
        check("stream of random ids", decoded == ask(arguments, [("s", i) for i in ids]))


def compare_task_texts(arguments, want, step):
    """Every `step`-th block of 512 texts; all of them with step 1."""
    blocks = cases.blocks(cases.task_texts())
    assert len(blocks) == len(want["task_texts"])
    chosen = range(0, len(blocks), step)
    encoded = ask(arguments, [("e", text.encode()) for i in chosen for text in blocks[i]])
    for i in chosen:
        answers, encoded = encoded[: len(blocks[i])], encoded[len(blocks[i]) :]
        right = cases.digest(answers) == want["task_texts"][i]
        check("task texts", right, f"{i * cases.BLOCK} to {(i + 1) * cases.BLOCK - 1}")


def check_with_library(path, want):
    """The tokenizer.json that we write says the same to the library itself."""
    from tokenizers import Tokenizer

    ids = [e.ids for e in Tokenizer.from_file(path).encode_batch(cases.case_texts(want["special"]))]
    check("our tokenizer.json in the library", want["encode"] == "".join(cases.short_digest(cases.pack(i)) for i in ids))


def write_metadata(gguf_path, out):
    """The tokenizer keys of a GGUF file as JSON."""
    from gguf import GGUFReader

    fields = GGUFReader(gguf_path).fields
    prefix = "tokenizer.ggml."
    out.write_text(json.dumps({key[len(prefix) :]: field.contents() for key, field in fields.items() if key.startswith(prefix)}))


def main(driver, name, gguf=None):
    want = json.loads((FIXTURES / "expected.json").read_text())[name]
    with tempfile.TemporaryDirectory() as folder:
        if gguf is not None:
            metadata = pathlib.Path(folder) / "metadata.json"
            write_metadata(gguf, metadata)
            arguments, byte_level = [driver, "--gguf", str(metadata)], True
        elif name.endswith("-gguf"):
            metadata = FIXTURES / "gguf" / f"{name.removesuffix('-gguf')}.json"
            arguments, byte_level = [driver, "--gguf", str(metadata)], False
        else:
            path = FIXTURES / "tiny" / f"{name}.json"
            decoder = json.loads(path.read_text())["decoder"]
            arguments, byte_level = [driver, str(path)], decoder is not None and decoder["type"] == "ByteLevel"
        compare(arguments, want, byte_level)
        compare_task_texts(arguments, want, step=1 if name in EVERY_TEXT else 12)
        if name.endswith("-gguf"):
            rewritten = os.path.join(folder, "tokenizer.json")
            subprocess.run(arguments + ["--write", rewritten], check=True)
            compare([driver, rewritten], want, byte_level)
            check_with_library(rewritten, want)
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
