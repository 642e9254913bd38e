"""Plants one violation at a time and expects hygiene.py to name it."""

import pathlib
import tempfile
import unittest

import hygiene


class HygieneTest(unittest.TestCase):
    def problems_with(self, name, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return hygiene.check_tree(pathlib.Path(folder))

    def test_each_forbidden_word(self):
        for word in hygiene.FORBIDDEN:
            self.assertEqual(self.problems_with("docs/a.md", f"fine\nsee {word}x\n"), [f"docs/a.md:2: mentions {word}"])

    def test_folder_inside_a_path(self):
        self.assertEqual(self.problems_with("docs/a.md", "runs" + hygiene.FORBIDDEN[0]), [])

    def test_quoted_text_is_left_alone(self):
        self.assertEqual(self.problems_with("data/tasks/t/train.jsonl", hygiene.FORBIDDEN[0]), [])

    def test_length(self):
        self.assertEqual(self.problems_with("src/a.cpp", "\n" * hygiene.MAX_LINES), [])
        self.assertEqual(len(self.problems_with("src/a.cpp", "\n" * (hygiene.MAX_LINES + 1))), 1)
        self.assertEqual(self.problems_with("docs/a.md", "\n" * 1000), [])


if __name__ == "__main__":
    unittest.main()
