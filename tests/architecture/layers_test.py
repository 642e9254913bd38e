"""Plants one violation at a time into a small tree and expects layers.py to name it."""

import pathlib
import tempfile
import unittest

import layers

ROOMS = """# storey wing room what
0 both base x
1 both io x
1 both text x
3 right nn x
4 right models x
4 left generate x
7 both cli x
"""

SOUND = {
    "src/rooms.txt": ROOMS,
    "src/base/a.h": "#pragma once\n",
    "src/io/b.h": '#include "base/a.h"\n',
    "src/io/b.cpp": '#include "io/b.h"\n#include <vector>\n',
    "src/io/CMakeLists.txt": "lmoe_library(NAME io\n  SRCS b.cpp\n  DEPS base)  # a remark\n",
    "src/nn/c.cpp": '#include <ATen/ATen.h>\n#include "io/b.h"\n',
    "src/nn/c.h": "",
    "src/nn/CMakeLists.txt": "lmoe_library(NAME nn SRCS c.cpp DEPS io LIBS lmoe_torch)\nlmoe_torch_pch(nn)\n",
    "src/generate/d.cpp": '#include "io/b.h"\n',
    "src/generate/CMakeLists.txt": "lmoe_library(NAME generate SRCS d.cpp DEPS io)\n",
    "src/cli/main.cpp": '#include "base/a.h"\n',
    "src/cli/torch/train.cpp": '#include "nn/c.h"\n',
    "src/cli/CMakeLists.txt": "lmoe_library(NAME cli SRCS main.cpp DEPS base)\n"
                              "lmoe_library(NAME cli_torch SRCS torch/train.cpp DEPS cli nn LIBS lmoe_torch)\n"
                              "add_executable(lmoe main.cpp)\ntarget_link_libraries(lmoe PRIVATE lmoe::cli lmoe::io)\n",
    "src/cli/show.cpp": '#include "io/b.h"\n',
}


def problems_with(**changes):
    """Problems of the sound tree after files were replaced or added; keys are paths."""
    files = {**SOUND, **changes}
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return layers.check_tree(root)


class LayersTest(unittest.TestCase):
    def expect(self, words, changes):
        problems = problems_with(**changes)
        self.assertEqual(len(problems), 1, problems)
        for word in words:
            self.assertIn(word, problems[0])

    def test_sound_tree(self):
        self.assertEqual(problems_with(), [])

    def test_arrow_upwards(self):
        self.expect(["base/a.h", "io/b.h", "lower storeys"],
                    {"src/base/a.h": '#include "io/b.h"\n'})

    def test_same_storey(self):
        self.expect(["text", "io/b.h", "lower storeys"], {"src/text/e.h": '#include "io/b.h"\n'})

    def test_left_wing_includes_right_wing(self):
        found = problems_with(**{"src/generate/d.cpp": '#include "io/b.h"\n#include "nn/c.h"\n'})
        self.assertTrue(any("right wing" in p and "generate/d.cpp" in p for p in found), found)

    def test_left_wing_includes_torch(self):
        self.expect(["generate/d.cpp", "ATen/Tensor.h"],
                    {"src/generate/d.cpp": '#include "io/b.h"\n  # include <ATen/Tensor.h>\n'})

    def test_torch_header_in_quotes(self):
        self.expect(["io/b.h", "torch/torch.h"], {"src/io/b.h": '#include "base/a.h"\n#include "torch/torch.h"\n'})

    def test_left_wing_links_torch(self):
        self.expect(["generate", "links lmoe_torch"],
                    {"src/generate/CMakeLists.txt": "lmoe_library(NAME generate SRCS d.cpp DEPS io LIBS lmoe_torch)\n"})

    def test_left_wing_uses_torch_pch(self):
        self.expect(["generate", "lmoe_torch_pch"],
                    {"src/generate/CMakeLists.txt": SOUND["src/generate/CMakeLists.txt"] + "lmoe_torch_pch(generate)\n"})

    def test_cli_outside_its_torch_folder(self):
        self.expect(["cli/main.cpp", "right wing"], {"src/cli/main.cpp": '#include "base/a.h"\n#include "nn/c.h"\n'})

    def test_cli_library_outside_its_torch_folder(self):
        self.expect(["cli", "depends on nn"],
                    {"src/cli/CMakeLists.txt": "lmoe_library(NAME cli SRCS main.cpp torch/train.cpp DEPS base io nn)\n"})

    def test_torch_free_program_links_the_right_wing(self):
        self.expect(["cli", "lmoe (both wing) depends on nn"], {"src/cli/CMakeLists.txt": SOUND["src/cli/CMakeLists.txt"]
                    + "target_link_libraries(lmoe PRIVATE lmoe::nn)\n"})

    def test_program_with_torch_sources_may_link_the_right_wing(self):
        self.assertEqual(problems_with(**{"src/cli/CMakeLists.txt": SOUND["src/cli/CMakeLists.txt"]
                         + "add_executable(lmoe-torch main.cpp torch/train.cpp)\n"
                           "target_link_libraries(lmoe-torch PRIVATE lmoe::nn lmoe_torch)\n"}), [])

    def test_unlisted_room(self):
        self.expect(["src/attic", "not listed"], {"src/attic/x.h": ""})

    def test_missing_deps(self):
        self.expect(["src/io", "lacks base"], {"src/io/CMakeLists.txt": "lmoe_library(NAME io SRCS b.cpp)\n"})

    def test_deps_that_nothing_includes(self):
        self.expect(["src/generate", "names base"],
                    {"src/generate/CMakeLists.txt": "lmoe_library(NAME generate SRCS d.cpp DEPS base io)\n"})

    def test_sources_without_cmake(self):
        self.expect(["src/text", "no CMakeLists"], {"src/text/e.cpp": ""})

    def test_include_that_does_not_start_at_the_root(self):
        self.expect(["io/b.cpp", '"b.h"'], {"src/io/b.cpp": '#include "b.h"\n'})


if __name__ == "__main__":
    unittest.main()
