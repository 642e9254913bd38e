// Stands in for gloo's header of this name; see ../../README.md.
#pragma once

namespace gloo::transport {

/// Only ever behind a pointer.
class Device;

}  // namespace gloo::transport
