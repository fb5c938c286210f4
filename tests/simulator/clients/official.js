// The official JavaScript SDK, unchanged: log in, list, observe, meet a 429. Prints one JSON object.
// Arguments: host, port, client id, client secret, how many requests the token is allowed.
const platformClient = require("purecloud-platform-client-v2");
const [host, port, clientId, clientSecret, allowed] = process.argv.slice(2);

async function main() {
  const client = platformClient.ApiClient.instance;
  client.setGateway({ host, protocol: "http", port: Number(port) });
  const auth = await client.loginClientCredentialsGrant(clientId, clientSecret);

  const page = await new platformClient.RoutingApi().getRoutingQueues({ pageSize: 100 });
  const body = {
    filter: {
      type: "or",
      predicates: page.entities.map(({ id }) => ({ type: "dimension", dimension: "queueId", operator: "matches", value: id })),
    },
    metrics: ["oWaiting", "oOnQueueUsers", "oMemberUsers"],
  };
  const analytics = new platformClient.AnalyticsApi();
  const observations = await analytics.postAnalyticsQueuesObservationsQuery(body);

  // Without this the SDK rejects with the bare body, and the headers are lost.
  client.setReturnExtendedResponses(true);
  let refusal = null;
  for (let used = 2; used <= Number(allowed) && refusal === null; used++) {
    try {
      await analytics.postAnalyticsQueuesObservationsQuery(body);
    } catch (error) {
      refusal = { status: error.status, code: error.body.code, retryAfter: error.headers["retry-after"] };
    }
  }
  const entities = page.entities.map(({ id, name, division }) => ({ id, name, division: division.name }));
  console.log(JSON.stringify({ hasToken: Boolean(auth.accessToken), entities, results: observations.results, refusal }));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
