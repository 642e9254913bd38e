// LibTorch's place for devices of others, PrivateUse1, with what it needs to be one.
#include "support/other_device.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <optional>

namespace lmoe::test {
namespace {

/// Far beyond what any process can address.
constexpr uintptr_t kDistance = uintptr_t{1} << 62;

void* moved_away(void* memory) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(memory) + kDistance);
}
void* moved_back(const void* memory) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(memory) - kDistance);
}

struct FarAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = c10::alloc_cpu(bytes);
    if (memory == nullptr) return {nullptr, other_device()};
    return {moved_away(memory), memory, &c10::free_cpu, other_device()};
  }
  void copy_data(void* to, const void* from, size_t count) const override {
    default_copy_data(moved_back(to), moved_back(from), count);
  }
};

FarAllocator allocator;  // NOLINT(cert-err58-cpp)
const c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

at::Tensor make_empty(at::IntArrayRef size,
                      std::optional<at::ScalarType> dtype,
                      std::optional<at::Layout> /*layout*/,
                      std::optional<at::Device> /*device*/,
                      std::optional<bool> /*pin_memory*/,
                      std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator, kKeys, c10::dtype_or_default(dtype), format);
}

at::Tensor make_empty_strided(at::IntArrayRef size,
                              at::IntArrayRef stride,
                              std::optional<at::ScalarType> dtype,
                              std::optional<at::Layout> /*layout*/,
                              std::optional<at::Device> /*device*/,
                              std::optional<bool> /*pin_memory*/) {
  return at::detail::empty_strided_generic(size, stride, &allocator, kKeys,
                                           c10::dtype_or_default(dtype));
}

/// The same memory as a tensor of the CPU.
at::Tensor within_reach(const at::Tensor& tensor) {
  if (tensor.device().is_cpu()) return tensor;
  const at::TensorOptions options = tensor.options().device(at::kCPU);
  if (tensor.numel() == 0) return at::empty(tensor.sizes(), options);
  return at::from_blob(moved_back(tensor.const_data_ptr()), tensor.sizes(), tensor.strides(),
                       options);
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool /*non_blocking*/) {
  within_reach(to).copy_(within_reach(from));
  return to;
}

/// What was there is lost.
const at::Tensor& make_room(const at::Tensor& tensor,
                            at::IntArrayRef size,
                            std::optional<at::MemoryFormat> /*format*/) {
  const at::Tensor other = at::empty(size, tensor.options());
  at::TensorImpl* impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(other.storage());
  impl->set_storage_offset(0);
  impl->set_sizes_contiguous(size);
  return tensor;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) make_room(to, from.sizes(), std::nullopt);
  return copy_from(from, to, /*non_blocking=*/false);
}

struct Devices {
  bool has_cpu = false, has_other = false;

  void add(const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    if (!tensor.device().is_cpu())
      has_other = true;
    else if (tensor.dim() > 0)
      has_cpu = true;
  }
  void add(const c10::IValue& argument) {
    if (argument.isTensor()) return add(argument.toTensor());
    if (!argument.isList()) return;
    for (const c10::IValue& element : argument.toListRef()) add(element);
  }
};

void run_on_copies(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  Devices devices;
  const size_t count = operation.schema().arguments().size();
  for (size_t i = stack->size() - count; i < stack->size(); ++i) devices.add((*stack)[i]);
  TORCH_CHECK(!devices.has_cpu || !devices.has_other, operation.schema().name(),
              " was given tensors of the CPU and of another device");
  at::native::cpu_fallback(operation, stack);
}

// What autograd asks of a device. There is one, with one stream, and everything is done at once.

struct Guard final : c10::impl::NoOpDeviceGuardImpl<at::kPrivateUse1> {
  at::Device exchangeDevice(at::Device /*device*/) const override { return other_device(); }
  at::Device getDevice() const override { return other_device(); }
  c10::Stream getStream(at::Device /*device*/) const noexcept override { return stream(); }
  c10::Stream getNewStream(at::Device /*device*/, int /*priority*/) const override {
    return stream();
  }
  c10::Stream exchangeStream(c10::Stream /*stream*/) const noexcept override { return stream(); }
  void record(void** /*event*/,
              const c10::Stream& /*stream*/,
              const c10::DeviceIndex /*device_index*/,
              const c10::EventFlag /*flag*/) const override {}
  void block(void* /*event*/, const c10::Stream& /*stream*/) const override {}
  bool queryEvent(void* /*event*/) const override { return true; }

  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, other_device()); }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  /// at::manual_seed asks; all draws are made on the CPU.
  const at::Generator& getDefaultGenerator(c10::DeviceIndex /*device*/) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  bool hasPrimaryContext(c10::DeviceIndex /*device*/) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex /*device*/) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex /*device*/) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex /*device*/) const override { return 0; }
};

[[maybe_unused]] const bool is_registered = [] {
  static Hooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  c10::register_privateuse1_backend("other_device");
  return true;
}();

}  // namespace

at::Device other_device() { return {at::kPrivateUse1, 0}; }

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);
REGISTER_ALLOCATOR(at::kPrivateUse1, &allocator)

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_copies>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", &make_empty);
  library.impl("empty_strided", &make_empty_strided);
  library.impl("_copy_from", &copy_from);
  library.impl("_copy_from_and_resize", &copy_from_and_resize);
  library.impl("resize_", &make_room);
  library.impl("view", &at::native::view);
  library.impl("as_strided", &at::native::as_strided_tensorimpl);
  library.impl("_reshape_alias", &at::native::_reshape_alias);
}

}  // namespace lmoe::test
