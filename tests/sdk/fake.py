"""A small gateway that fails on purpose: what a live one cannot be asked to do. `model` says how."""
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from headworks.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc, event_pb2, stream_service_pb2, stream_service_pb2_grpc

WORDS = ['one ', 'two ', 'three ', 'four ', 'five ', 'six']
tries, lock = {}, threading.Lock()


def count(model, context):
    """Tries of one test, told apart by its user."""
    with lock:
        key = (model, dict(context.invocation_metadata()).get('x-test', ''))
        tries[key] = tries.get(key, 0) + 1
        return tries[key]


def refuse(context, code, reason, retryable, wait_ms=0, pushback=False):
    details = [error_details_pb2.ErrorInfo(reason=reason, domain='headworks', metadata={'attempts': '0', 'retryable': str(retryable).lower()})]
    if wait_ms: details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=wait_ms * 1_000_000)))
    packed = []
    for detail in details:
        one = any_pb2.Any(); one.Pack(detail); packed.append(one)
    status = status_pb2.Status(code=code.value[0], message='on purpose', details=packed)
    trailers = [('grpc-status-details-bin', status.SerializeToString())]
    if pushback: trailers.append(('grpc-retry-pushback-ms', '-1'))
    context.set_trailing_metadata(tuple(trailers))
    context.abort(code, 'on purpose')


def events():
    yield event_pb2.StreamEvent(sequence=1, started=event_pb2.Started(request_id='req_fake', stream_id='stream_fake', served_by='fake/resume'))
    for at, word in enumerate(WORDS): yield event_pb2.StreamEvent(sequence=at + 2, text=word)
    yield event_pb2.StreamEvent(sequence=len(WORDS) + 2, finished=event_pb2.Finished(reason=event_pb2.FINISH_REASON_STOP))
    yield event_pb2.StreamEvent(sequence=len(WORDS) + 3, completed=event_pb2.Completed())


class Chat(chat_service_pb2_grpc.ChatServiceServicer):
    def Complete(self, request, context):
        model = request.chat.model
        number = count(model, context)
        if model == 'tries':  # how often the model named by the user was asked for
            with lock: text = str(tries.get((request.chat.user, dict(context.invocation_metadata()).get('x-test', '')), 0))
        elif model == 'overloaded-twice':
            if number < 3: refuse(context, grpc.StatusCode.UNAVAILABLE, 'OVERLOADED', True, wait_ms=20)
            text = 'third try'
        elif model == 'pushback': refuse(context, grpc.StatusCode.UNAVAILABLE, 'OVERLOADED', True, wait_ms=20, pushback=True)
        elif model == 'forbidden': refuse(context, grpc.StatusCode.PERMISSION_DENIED, 'MODEL_FORBIDDEN', False)
        else: text = dict(context.invocation_metadata()).get('user-agent', '')
        answer = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=[chat_pb2.Part(text=text)])
        return chat_service_pb2.CompleteResponse(reply=event_pb2.ChatReply(choices=[event_pb2.Choice(message=answer)]))


class Stream(stream_service_pb2_grpc.StreamServiceServicer):
    def Stream(self, request, context):
        for event in events():
            if event.sequence == 4: context.abort(grpc.StatusCode.UNAVAILABLE, 'connection reset')
            yield stream_service_pb2.StreamResponse(event=event)

    def Resume(self, request, context):
        if request.stream_id != 'stream_fake': refuse(context, grpc.StatusCode.NOT_FOUND, 'STREAM_GONE', False)
        for event in events():
            if event.sequence <= request.after_sequence - 1: continue  # one event comes twice: clients drop it
            if request.after_sequence < 4 and event.sequence == 6: context.abort(grpc.StatusCode.UNAVAILABLE, 'connection reset')
            yield stream_service_pb2.ResumeResponse(event=event)

    def Cancel(self, request, context):
        return stream_service_pb2.CancelResponse()


def serve():
    server = grpc.server(ThreadPoolExecutor(16))
    chat_service_pb2_grpc.add_ChatServiceServicer_to_server(Chat(), server)
    stream_service_pb2_grpc.add_StreamServiceServicer_to_server(Stream(), server)
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    return server, port


if __name__ == '__main__':
    server, port = serve()
    print(port, flush=True)
    server.wait_for_termination()
