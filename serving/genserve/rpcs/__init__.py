"""The gRPC services: one module for each RPC, and what is the same for all.

rpc.py                the handler of every RPC: bytes in, bytes out, deadlines, statuses
services.py           which RPC is answered by which function
admission.py          how many RPCs work, wait, or still send their message
threads.py            the threads they run in
predict.py            Predict
classify.py           Classify
regress.py            Regress
multi_inference.py    MultiInference
examples.py           tf.Example inputs of the last three
metadata.py           GetModelMetadata
status.py             GetModelStatus
config_service.py     genserve.ConfigService
health.py             grpc.health.v1 and server reflection
"""
