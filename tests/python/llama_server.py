"""A llama.cpp server: llama_server.py MODEL PORT"""
import sys, time
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port = sys.argv[1], ['127.0.0.1'], int(sys.argv[2])
params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
server = xllamacpp.Server(params)
print('listening', flush=True)
while True: time.sleep(3600)
