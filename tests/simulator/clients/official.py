"""The official Python SDK, unchanged: log in, list, observe, read the day, meet a 429. Prints one JSON object.

Arguments: url, client id, client secret, how many requests the token is allowed, an interval of conversations.
"""

import json
import sys

import PureCloudPlatformClientV2 as sdk  # noqa: N813 - the vendor's name
from PureCloudPlatformClientV2.rest import ApiException


def voice_target_ms(queue: sdk.Queue) -> int | None:
    settings = queue.media_settings and queue.media_settings.call
    return settings.service_level.duration_ms if settings and settings.service_level else None


def typed_stats(analytics: sdk.AnalyticsApi, queue_ids: list[str], interval: str) -> list[dict]:
    """Conversation aggregates through the models, as plain data."""
    query = sdk.ConversationAggregationQuery()
    query.interval = interval
    query.group_by = ["queueId", "mediaType"]
    query.filter = sdk.ConversationAggregateQueryFilter()
    query.filter.type = "or"
    query.filter.predicates = []
    for queue_id in queue_ids:
        predicate = sdk.ConversationAggregateQueryPredicate()
        predicate.type, predicate.dimension, predicate.operator = "dimension", "queueId", "matches"
        predicate.value = queue_id
        query.filter.predicates.append(predicate)
    query.metrics = ["nOffered", "tAnswered", "tAbandon", "tFlowOut", "oServiceLevel", "nTransferred"]
    fields = ("count", "sum", "min", "max", "numerator", "denominator", "target")
    return [
        {
            "queue_id": result.group["queueId"],
            "media": result.group["mediaType"],
            "interval": result.data[0].interval,
            "metrics": {
                each.metric: {name: getattr(each.stats, name) for name in fields}
                for each in result.data[0].metrics
            },
        }
        for result in analytics.post_analytics_conversations_aggregates_query(query).results
    ]


def main(url: str, client_id: str, client_secret: str, allowed: str, interval: str) -> None:
    sdk.configuration.host = url
    client = sdk.ApiClient()
    client.get_client_credentials_token(client_id, client_secret)

    page = sdk.RoutingApi(client).get_routing_queues(page_size=100)
    query = sdk.QueueObservationQuery()
    query.filter = sdk.QueueObservationQueryFilter()
    query.filter.type = "or"
    query.filter.predicates = []
    for entity in page.entities:
        predicate = sdk.QueueObservationQueryPredicate()
        predicate.type, predicate.dimension, predicate.operator = "dimension", "queueId", "matches"
        predicate.value = entity.id
        query.filter.predicates.append(predicate)
    query.metrics = ["oWaiting", "oOnQueueUsers", "oMemberUsers", "oUserPresences", "oLongestWaiting"]
    analytics = sdk.AnalyticsApi(client)
    observations = analytics.post_analytics_queues_observations_query(query)

    stats = typed_stats(analytics, [entity.id for entity in page.entities], interval)
    refusal = None
    for _ in range(1, int(allowed)):
        try:
            analytics.post_analytics_queues_observations_query(query)
        except ApiException as error:
            refusal = {
                "status": error.status,
                "code": json.loads(error.body)["code"],
                "retryAfter": error.headers.get("Retry-After"),
            }
            break
    results = [
        {
            "group": {"queueId": result.group["queueId"], "mediaType": result.group.get("mediaType")},
            "data": [
                {"metric": each.metric, "qualifier": each.qualifier, "stats": {"count": each.stats.count}}
                for each in result.data
            ],
        }
        for result in observations.results
    ]
    entities = [
        {
            "id": each.id,
            "name": each.name,
            "division": each.division.name,
            "target_ms": voice_target_ms(each),
        }
        for each in page.entities
    ]
    seen = {"entities": entities, "results": results, "refusal": refusal, "stats": stats}
    print(json.dumps({"hasToken": bool(client.access_token), **seen}))


main(*sys.argv[1:])
