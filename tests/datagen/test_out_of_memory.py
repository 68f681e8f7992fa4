"""Errors of memory that PyTorch does not mark as such, by the texts that they have there."""

from __future__ import annotations

import mmap
import sysconfig
from pathlib import Path

import pytest
import torch

from datagen.out_of_memory import is_out_of_memory

ASYNCHRONOUS = "CUDA kernel errors might be asynchronously reported at some other API call, so ..."

OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ..."),
    MemoryError(),
    RuntimeError(f"CUDA error: out of memory\n{ASYNCHRONOUS}"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA ran out of memory outside PyTorch's allocator. If this workload uses many dynamic shapes, ..."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you ..."),
    RuntimeError("std::bad_alloc"),
]
OTHERS = [
    RuntimeError(f"CUDA error: an illegal memory access was encountered\n{ASYNCHRONOUS}"),
    RuntimeError(f"CUDA error: device-side assert triggered\n{ASYNCHRONOUS}"),
    RuntimeError(
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb, m, n, k, ...)`"
    ),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x3 and 4x3)"),
    OSError("out of memory"),
]


@pytest.mark.parametrize("error", OF_MEMORY, ids=str)
def test_memory_ran_out(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_something_else_went_wrong(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_the_texts_of_cudnn_and_cublas_are_those_in_the_library() -> None:
    library = Path(sysconfig.get_path("purelib"), "torch/lib/libtorch_cuda.so")
    if not library.exists():
        pytest.skip("this PyTorch was built without CUDA")
    with library.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for text in (
            b"GET was unable to find an engine to execute this computation",
            b"FIND was unable to find an engine to execute this computation",
            b"Unable to find a valid cuDNN algorithm to run convolution",
            b"CUDA ran out of memory outside PyTorch's allocator",
            b"CUBLAS_STATUS_ALLOC_FAILED",
            b"CUDA driver error: ",
        ):
            assert content.find(text) >= 0, text
