"""The HTTP edge: one pipeline that every /api/v3 request walks.

receipt → faults met → weight → key, signature, time window → (delay) → time window again →
plan → apply → log, synced → answer, or what a fault makes of it.

Rules of this file: everything between planning and logging is one step of the event loop, so no
other request comes between. Every request that could change something leaves a `request` line,
also when it was refused or swallowed by a fault.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from exchange.paper.broken import hold, sent_status, spoil
from exchange.paper.calls import (
    Call,
    Caller,
    check_key,
    check_signature,
    check_window,
    parse_parameters,
)
from exchange.paper.config import PaperConfig
from exchange.paper.faults import NEVER_PROCESSED, Fault, FaultKind, FaultPlan
from exchange.paper.market_routes import MarketRoutes
from exchange.paper.refusals import Refused, refuse
from exchange.paper.runtime import PaperRuntime
from exchange.paper.trade_routes import Change, Signed, TradeRoutes
from exchange.paper.weights import OrderMeter, WeightMeter, weight_of

KEY_HEADER = "X-MBX-APIKEY"
WRITES = ("POST", "DELETE", "PUT")
# Kinds that take the place of the answer.
REPLACING = (
    FaultKind.BLACKHOLE,
    FaultKind.DROP,
    FaultKind.SERVER_ERROR,
    FaultKind.ERROR,
    FaultKind.HTML,
    FaultKind.EMPTY,
    FaultKind.CUT,
    FaultKind.CUT_JSON,
    FaultKind.RATE_LIMITED,
    FaultKind.BANNED,
)
Public = Callable[[Mapping[str, str]], Any]
Read = Callable[[Signed], Any]
Write = tuple[Callable[[Signed], Change], Callable[[Signed, Change], Any]]


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request on its way through the pipeline (mutable)."""

    call: Call
    arrival: int
    client: str
    caller: Caller | None
    faults: Mapping[FaultKind, Fault]
    headers: dict[str, str] = field(default_factory=dict)
    outcome: str = "rejected"
    code: int | None = None
    status: int | None = 200  # None: no answer at all
    change: Change | None = None

    @property
    def replacing(self) -> Fault | None:
        """The fault that takes the place of the answer, if any."""
        return next((self.faults[kind] for kind in REPLACING if kind in self.faults), None)


class PaperServer:
    """Routes of /api/v3 over one runtime."""

    def __init__(self, runtime: PaperRuntime, config: PaperConfig) -> None:
        """Prepare tables and meters."""
        self.runtime = runtime
        self.faults = FaultPlan()
        self.weights = WeightMeter(
            limit=config.weight_limit, ban_after=config.ban_after, ban_s=config.ban_s
        )
        self._orders = OrderMeter(
            ten_s_limit=config.order_limit_10s, day_limit=config.order_limit_day
        )
        self._callers = {
            key.key: Caller(account=account, key=key)
            for account in config.accounts
            for key in account.keys
        }
        limits = {
            "weight": config.weight_limit,
            "orders_10s": config.order_limit_10s,
            "orders_day": config.order_limit_day,
        }
        self._public = _public_table(MarketRoutes(runtime, limits=limits))
        trade = TradeRoutes(runtime)
        self._reads: Mapping[str, Read] = {
            "account": trade.account,
            "account/apiRestrictions": trade.restrictions,
            "order": trade.order,
            "openOrders": trade.open_orders,
            "allOrders": trade.all_orders,
            "myTrades": trade.my_trades,
        }
        self._writes: Mapping[tuple[str, str], Write] = {
            ("POST", "order"): (trade.plan_place, trade.answer_place),
            ("DELETE", "order"): (trade.plan_cancel, trade.answer_cancel),
            ("DELETE", "openOrders"): (trade.plan_cancel_all, trade.answer_cancel_all),
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one /api/v3 request."""
        visit = await self._receive(request)
        fault = visit.replacing
        if fault is not None and not fault.is_processed:
            return await self._swallow(request, visit, fault)
        status = 200
        try:
            payload = await self._process(visit)
        except Refused as e:
            payload = {"code": e.code, "msg": e.message}
            visit.code, status = e.code, e.status
            visit.status = status if fault is None else sent_status(fault, status)
            if e.retry_after_s:
                visit.headers["Retry-After"] = str(e.retry_after_s)
            self._log(visit)
        if FaultKind.DELAY_AFTER in visit.faults:
            await asyncio.sleep(visit.faults[FaultKind.DELAY_AFTER].seconds)
        if fault is not None:
            return spoil(fault, status, payload)
        return web.json_response(payload, status=status, headers=visit.headers)

    async def _receive(self, request: web.Request) -> Visit:
        arrived_ms = self.runtime.clock.now_ms()
        self.runtime.arrivals += 1
        arrival = self.runtime.arrivals
        body = await request.text() if request.can_read_body else ""
        query = request.rel_url.raw_query_string
        api_key = request.headers.get(KEY_HEADER)
        refusal: Refused | None = None
        try:
            parameters = parse_parameters(query, body)
        except Refused as e:
            parameters, refusal = {}, e
        call = Call(
            method=request.method,
            path=request.match_info["path"].strip("/"),
            query=query,
            body=body,
            api_key=api_key,
            arrived_ms=arrived_ms,
            parameters=parameters,
            refusal=refusal,
        )
        caller = self._callers.get(api_key) if api_key is not None else None
        return Visit(
            call=call,
            arrival=arrival,
            client=request.remote or "unknown",
            caller=caller,
            faults=self.faults.meet(
                method=call.method,
                path=call.path,
                key=caller.key.name if caller is not None else None,
                symbol=parameters.get("symbol"),
            ),
        )

    async def _swallow(
        self, request: web.Request, visit: Visit, fault: Fault
    ) -> web.StreamResponse:
        """Carry out a fault that keeps the request from being processed."""
        visit.outcome = "not_processed"
        for kind in (FaultKind.DELAY_BEFORE, FaultKind.DELAY_AFTER):
            if kind in visit.faults:
                await asyncio.sleep(visit.faults[kind].seconds)
        if fault.kind in NEVER_PROCESSED - {FaultKind.BLACKHOLE}:
            is_ban = fault.kind is FaultKind.BANNED
            wait_s = int(fault.seconds) or 1
            until_ms = visit.call.arrived_ms + wait_s * 1000
            e = (
                refuse("banned", until_ms, retry_after_s=wait_s)
                if is_ban
                else refuse("too_much_weight", self.weights.limit, retry_after_s=wait_s)
            )
            visit.code, visit.status = e.code, e.status
            self._log(visit)
            return web.json_response(
                {"code": e.code, "msg": e.message},
                status=e.status,
                headers={"Retry-After": str(wait_s)},
            )
        visit.status = sent_status(fault, 200)
        self._log(visit)
        if fault.kind is FaultKind.BLACKHOLE:
            await hold(request, fault.seconds)
        return spoil(fault, 200, {})

    async def _process(self, visit: Visit) -> Any:
        call = visit.call
        if call.refusal is not None:
            raise call.refusal
        now_ms = self.runtime.clock.now_ms()
        weight = weight_of(call.method, call.path, call.parameters)
        used = self.weights.charge(visit.client, weight, now_ms)
        visit.headers |= {"X-MBX-USED-WEIGHT": str(used), "X-MBX-USED-WEIGHT-1M": str(used)}
        public = self._public.get(call.path) if call.method == "GET" else None
        read = self._reads.get(call.path) if call.method == "GET" else None
        write = self._writes.get((call.method, call.path))
        if public is None and read is None and write is None:
            raise web.HTTPNotFound
        if public is None:
            visit.caller = check_key(call, self._callers, is_trade=write is not None)
            check_signature(call, visit.caller)
            check_window(call, call.arrived_ms)
        if FaultKind.DELAY_BEFORE in visit.faults:
            await asyncio.sleep(visit.faults[FaultKind.DELAY_BEFORE].seconds)
        if public is not None:
            return public(call.parameters)
        signed = self._sign_in(visit)
        if read is not None:
            return read(signed)
        assert write is not None
        return self._change(visit, signed, write)

    def _sign_in(self, visit: Visit) -> Signed:
        """Check the window again, now that the request has reached the matching engine."""
        assert visit.caller is not None
        now_ms = self.runtime.clock.now_ms()
        check_window(visit.call, now_ms)
        stale = visit.faults.get(FaultKind.STALE)
        return Signed(
            caller=visit.caller,
            parameters=visit.call.own_parameters(),
            arrival=visit.arrival,
            now_ms=now_ms,
            as_of_ms=now_ms - int(stale.seconds * 1000) if stale is not None else None,
        )

    def _change(self, visit: Visit, signed: Signed, write: Write) -> Any:
        plan, answer = write
        if visit.call.method == "POST":
            ten_s, day = self._orders.charge(signed.account, signed.now_ms)
            visit.headers |= {
                "X-MBX-ORDER-COUNT-10S": str(ten_s),
                "X-MBX-ORDER-COUNT-1D": str(day),
            }
        visit.change = plan(signed)
        visit.outcome = "accepted"
        if visit.replacing is not None:
            visit.status = sent_status(visit.replacing, 200)
        self.runtime.commit(visit.change.events, [self._line(visit)])
        return answer(signed, visit.change)

    def _log(self, visit: Visit) -> None:
        if visit.call.method in WRITES:
            self.runtime.commit((), [self._line(visit)])

    def _line(self, visit: Visit) -> dict[str, Any]:
        call, caller, change = visit.call, visit.caller, visit.change
        own = call.parameters
        return {
            "type": "request",
            "arrival": visit.arrival,
            "arrived_venue_ms": call.arrived_ms,
            "processed_venue_ms": self.runtime.clock.now_ms(),
            "method": call.method,
            "path": call.path,
            "key": caller.key.name if caller is not None else None,
            "account": caller.account.name if caller is not None else None,
            "client_order_id": (
                change.client_order_id
                if change is not None
                else own.get("newClientOrderId" if call.method == "POST" else "origClientOrderId")
            ),
            "order_id": change.order_id if change is not None else None,
            "params": {name: value for name, value in own.items() if name != "signature"},
            "outcome": visit.outcome,
            "code": visit.code,
            "http_status": visit.status,
            "faults": [str(kind) for kind in visit.faults],
        }


def _public_table(market: MarketRoutes) -> Mapping[str, Public]:
    return {
        "ping": market.ping,
        "time": market.time,
        "exchangeInfo": market.exchange_info,
        "klines": market.klines,
        "ticker/24hr": market.ticker_day,
        "ticker/price": market.ticker_price,
        "ticker/bookTicker": market.ticker_book,
        "avgPrice": market.average_price,
        "depth": market.depth,
        "trades": market.trades,
    }
