"""The official Python SDK, unchanged: log in, list, observe, meet a 429. Prints one JSON object.

Arguments: url, client id, client secret, how many requests the token is allowed.
"""

import json
import sys

import PureCloudPlatformClientV2 as sdk  # noqa: N813 - the vendor's name
from PureCloudPlatformClientV2.rest import ApiException


def main(url: str, client_id: str, client_secret: str, allowed: str) -> None:
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
    entities = [{"id": each.id, "name": each.name, "division": each.division.name} for each in page.entities]
    seen = {"entities": entities, "results": results, "refusal": refusal}
    print(json.dumps({"hasToken": bool(client.access_token), **seen}))


main(*sys.argv[1:])
