"""python -m tests.bench_engine.llama_cpp GGUF PORT: llama.cpp's server, until it is told to end."""

import signal
import sys

import xllamacpp

AT_ONCE, TOKENS = 32, 640  # requests, and of each prompt and answer together


def main(gguf: str, port: str) -> None:
    wanted = xllamacpp.CommonParams()
    wanted.model.path = gguf
    wanted.hostnames, wanted.port = ["127.0.0.1"], int(port)
    wanted.n_parallel, wanted.n_ctx = AT_ONCE, AT_ONCE * TOKENS
    server = xllamacpp.Server(wanted)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(*sys.argv[1:])
