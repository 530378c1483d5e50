"""What `Client` stands on: calls that block the thread they are made in, and what a server says of its models.

`awaited.py` has the same for asyncio.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from genclient.client.base import START_OVER, Request, Waiting
from genclient.client.call import Batch, Call, Collection
from genclient.client.requests import Requests
from genclient.client.server_models import ServerModels
from genclient.errors import ClientError, RpcError, VersionGoneError
from genclient.model.signature import ModelInfo
from genclient.rpc import channel
from genclient.rpc.channel import Method
from genclient.rpc.status import VersionStatus, version_statuses


class BlockingCalls(ServerModels):
    """A connection to a server, what is known of its models, and the way of a call."""

    def __exit__(self, *exc: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def info(self, model: str | None = None, version: int | None = None) -> ModelInfo:
        """The signatures of a version of the model (or of another model), requested once; None: of the one in use.

        Raises:
            ClientError: the server refuses, cannot be reached, or describes no signatures.
        """
        name = model or self.model
        if (name, version) in self._infos:
            return self._infos[name, version]
        return self._keep_info(
            name, version, self._call_with_retries(channel.METADATA, self._info_request(name, version))
        )

    def status(self, model: str | None = None) -> list[VersionStatus]:
        """Every version that the server knows of, the newest first.

        Example:
        ```python
        client.status()  # [VersionStatus(version=3, state="AVAILABLE", message="")]
        ```

        Raises:
            ClientError: the server refuses, cannot be reached, or does not know the model.
        """
        return version_statuses(self._call_with_retries(channel.STATUS, self._status_request(model)))

    def wait(self, timeout_seconds: float = 60.0) -> int:
        """Return the newest available version, as soon as there is one; the server need not run yet.

        Example:
        ```python
        version = client.wait(timeout_seconds=120)  # 3
        ```

        Raises:
            ClientError: none became available in time, or the server refuses to tell.
        """
        waiting = Waiting(self.model, timeout_seconds)
        while waiting.seconds_left > 0:
            try:
                # The first call tells why there is no server. The next has to wait for one: called again and again,
                # gRPC does not get on with a connection, which it may do only while a call waits for it.
                response = self._channel.call(
                    channel.STATUS, self._status_request(None), waiting.seconds_left, wait_for_ready=waiting.no_server
                )
                version = waiting.seen(response)
                if version is not None:
                    return version
            except RpcError as error:
                waiting.failed(error)
            if self.on_wait is not None:
                self.on_wait(waiting.last_seen, waiting.seconds_left)
            time.sleep(waiting.pause)
        raise ClientError(waiting.timeout_message())

    def _collect(self, model: str, version: int | None, request: Request) -> dict[str, NDArray[Any]]:
        """All results of a call; it begins anew should the version of the first ones be unloaded meanwhile."""
        for _ in range(START_OVER):
            results = Collection()
            try:
                for batch in self._batches(model, version, replace(request, begun=results.expect)):
                    results.add(batch)
                return results.whole()
            except VersionGoneError as error:
                gone = error
                self._infos.clear()  # the next one may take other latents
        raise gone

    def _batches(self, model: str, version: int | None, request: Request) -> Iterator[Batch]:
        """The results of a call, by what a model says of itself, which is queried again where that is old.

        What is wrong with the arguments is raised at once.
        """
        info = self.info(model, version)
        try:
            return self._run_or_refresh(self._new_call(info, request, version), info, version, request)
        except ClientError:
            if not self._is_stale(info):
                raise
        self._forget_info(version, info)
        info = self.info(model, version)
        return self._run_or_refresh(self._new_call(info, request, version), info, version, request)

    def _run_or_refresh(self, call: Call, known: ModelInfo, version: int | None, request: Request) -> Iterator[Batch]:
        """The results of a call; of another one, should the model be another by now than it said."""
        try:
            yield from self._run(call)
        except RpcError as error:
            if not call.model_may_have_changed(error):
                raise
            self._forget_info(version, known)
            if (fresh := self.info(known.name, version)) == known:
                raise
            call = self._new_call(fresh, request, version)
            yield from self._run(call)
        finally:
            self._check_version(known, version, call.version)

    def _call_with_retries(self, method: Method, request: Any) -> Any:
        """The response to a call that changes nothing, so that it may be retried."""
        attempts = self._attempts()
        while True:
            try:
                response = self._channel.call(method, request, attempts.left)
            except RpcError as error:
                pause = attempts.failed(error)
                self._notify((error, attempts.trying_until() - time.monotonic()))
                time.sleep(pause)
            else:
                attempts.succeeded()
                self._notify(None)
                return response

    def _run(self, call: Call) -> Iterator[Batch]:
        """Send the parts of a call as they are due, and hand on their results in order."""
        requests = Requests(self._channel, call)
        try:
            while not call.schedule.finished:
                while (part := call.schedule.start(time.monotonic())) is not None:
                    requests.begin(part)
                requests.take(call.schedule.pause(time.monotonic()))
                self._notify(call.schedule.retrying(time.monotonic()))
                yield from call.schedule.ready()
        finally:  # an error, Ctrl-C, or nobody takes the rest
            requests.stop()
