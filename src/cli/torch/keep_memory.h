// How the C library treats memory that training frees.
#pragma once

namespace lmoe::cli {

/// Freed blocks stay with the program: every step asks for the same ones again, and what comes from
/// the kernel is cleared page by page. MixLoRA at 2 x 256 tokens took 5 to 11 % less time a step,
/// and 1.48 GB at the peak instead of 1.45. Does nothing where the C library is not glibc.
///
/// Blocks of tensors come from malloc, aligned inside, from now on: what glibc before 2.38 aligns
/// itself does not fit into the hole that an equally large block left. Without these holes LoRA at
/// 4 x 512 tokens took 2.94 GB instead of 3.46, MixLoRA 2.41 instead of 3.14. Call it before there
/// are tensors.
void keep_freed_memory();

}  // namespace lmoe::cli
