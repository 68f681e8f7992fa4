"""Which errors say that memory ran out: PyTorch's own, and others of CUDA, cuBLAS and cuDNN by their texts.

The texts are those in the libraries of PyTorch 2.14 and cuDNN 9, and cuDNN 8's
CUDNN_STATUS_ALLOC_FAILED.  Some have other causes too: cuDNN finds no engine where there is
no room for its workspace, but also where a library does not fit the device, and likewise
for the handle of cuBLAS.  Messages about memory therefore quote the error.
"""

from __future__ import annotations

import torch

_TEXTS = (
    "out of memory",  # "CUDA error: ...", "CUDA driver error: ...", "CUDA ran ... outside PyTorch's allocator"
    "allocate memory",  # of a processor: "DefaultCPUAllocator: can't allocate memory"
    "std::bad_alloc",
    "STATUS_ALLOC_FAILED",  # "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...", CUDNN_STATUS_ALLOC_FAILED
    "ALLOCATION_FAILED",  # CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, ..._HOST_ALLOCATION_FAILED
    "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "Unable to find a valid cuDNN algorithm",
    "unable to find an engine to execute this computation",  # "GET was ...", "FIND was ..."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, has no memory left."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS)
