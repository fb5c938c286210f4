"""What the rules of Faults do to one call: headers and delay, or an answer of their own."""

from queuetick.simulator import api_errors
from queuetick.simulator.answer_faults import HTML
from queuetick.simulator.api_errors import Answer
from queuetick.simulator.calls import Call, Request
from queuetick.simulator.contact_centre import ContactCentre
from queuetick.simulator.fault_draws import FaultDraws
from queuetick.simulator.fault_rules import Asked, Rule
from queuetick.simulator.routes import PERMISSIONS

_LOGIN_CODES = {400: "invalid_request", 401: "invalid_client", 403: "unauthorized_client"}


class RuleAnswer(Exception):
    """A rule answers in place of the API; Api.respond() turns it into an Answer."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.name)
        self.rule = rule


class Rules:
    """Applies rules to calls. Used by the serving thread alone."""

    def __init__(self, centre: ContactCentre, draws: FaultDraws) -> None:
        self._centre = centre
        self._draws = draws

    def meet(self, call: Call, asked: Asked | None) -> None:
        """Apply the rules that the call meets: note headers, delay and fault in it.

        Raises RuleAnswer for a rule with an answer of its own.
        """
        for rule in self._draws.rules.met(call.faults.rules, call.route, asked, self._draws.rng):
            call.delay += rule.delay
            call.rule_headers |= rule.all_headers()
            if rule.fault:
                call.fault = rule.fault
            if rule.answers:
                call.fault = rule.name
                raise RuleAnswer(rule)

    def answer(self, rule: Rule, call: Call, correlation_id: str) -> Answer:
        """The answer that a rule gives to a call."""
        status = rule.status or 200
        if rule.text is not None:
            return Answer(status, rule.text.encode())
        match rule.body:
            case "html":
                return Answer(status, HTML, {}, "text/html")
            case "json":
                return Answer(status, b'{"fault":{"faultstring":"Rejected by policy"}}')
            case "empty":
                return Answer(status, b"", {}, "text/plain")
        message = rule.message
        if rule.body == "echo":
            message = f"Not understood: {_as_sent(call.request)}"
        if call.route == "login":
            code = rule.code or _LOGIN_CODES.get(status, "temporarily_unavailable")
            return api_errors.login_refused(status, code, message or code.replace("_", " "))
        if rule.code == "missing.division.permission" and not message:
            message = self._division_message(rule, call)
        problem = api_errors.by_status(
            status, rule.retry_after, header=False, code=rule.code, message=message
        )
        if rule.limit:
            problem.limit = api_errors.token_limit(call.faults.rate_limit, rule.limit)
        return problem.answer(correlation_id)

    def _division_message(self, rule: Rule, call: Call) -> str:
        """Permission and divisions of the queues that the rule refuses; the live API's words are not known."""
        refused = map(self._centre.get, self._draws.rules.concerned(rule, call.queue_ids))
        divisions = ", ".join(sorted({queue.division_id for queue in refused if queue is not None}))
        permission = PERMISSIONS.get(call.route or "", "")
        return (
            "Unable to perform the requested action. You are missing the following permission(s): "
            f"[{permission}] in the following division(s): [{divisions}]"
        )


def _as_sent(request: Request) -> str:
    """The request's Authorization header, as sent and decoded, and its body."""
    sent = f"{request.authorization or ''} ({request.credentials})"
    return f"Authorization: {sent}; body: {request.body.decode('utf-8', 'replace')}"
