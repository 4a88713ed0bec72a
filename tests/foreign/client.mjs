// A session of one of the official TypeScript clients: list, subscribe, call, be told, read. Prints what it met as JSON.
//
// usage: node client.mjs '{"tools": FOLDER, "sdk": "v1" | "v2", "era": "legacy" | "modern", "url": …, "token": … | "command": …, "args": …, "env": …}'

import { createRequire } from 'node:module';

const given = JSON.parse(process.argv[2]);
const load = createRequire(given.tools + '/');
const GRAPH = 'memory://knowledge-graph';
const WAIT_MS = 20000;
const about = { name: 'foreign', version: '1' };

function parts() {
  if (given.sdk === 'v1') {
    const { Client } = load('@modelcontextprotocol/sdk/client/index.js');
    const { StdioClientTransport } = load('@modelcontextprotocol/sdk/client/stdio.js');
    const { StreamableHTTPClientTransport } = load('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const { ResourceUpdatedNotificationSchema } = load('@modelcontextprotocol/sdk/types.js');
    return { client: new Client(about), StdioClientTransport, StreamableHTTPClientTransport, updated: ResourceUpdatedNotificationSchema };
  }
  const { Client, StreamableHTTPClientTransport } = load('@modelcontextprotocol/client');
  const { StdioClientTransport } = load('@modelcontextprotocol/client/stdio');
  const mode = given.era === 'modern' ? { pin: '2026-07-28' } : 'legacy';
  const client = new Client(about, { versionNegotiation: { mode } });
  return { client, StdioClientTransport, StreamableHTTPClientTransport, updated: 'notifications/resources/updated' };
}

const { client, StdioClientTransport, StreamableHTTPClientTransport, updated } = parts();
const transport = given.url
  ? new StreamableHTTPClientTransport(new URL(given.url), { requestInit: { headers: { Authorization: `Bearer ${given.token}` } } })
  : new StdioClientTransport({ command: given.command, args: given.args, env: given.env, stderr: 'inherit' });

let told;
const heard = new Promise((resolve, reject) => {
  told = resolve;
  setTimeout(() => reject(new Error('nobody said that the graph had changed')), WAIT_MS).unref();
});
client.setNotificationHandler(updated, (notification) => told(notification.params.uri));

await client.connect(transport);
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const subscription = given.era === 'modern'
  ? await client.listen({ resourceSubscriptions: [GRAPH] })
  : await client.subscribeResource({ uri: GRAPH });
const entities = [{ name: given.name, entityType: 'keeper', observations: ['Keeps the lamp — «ünïcödé» ✓'] }];
const made = await client.callTool({ name: 'create_entities', arguments: { entities } });
const uri = await heard;
if (given.era === 'modern') await subscription.close();
else await client.unsubscribeResource({ uri: GRAPH });
const wrong = await client.callTool({ name: 'open_nodes', arguments: { names: 3 } });
const graph = JSON.parse((await client.readResource({ uri: GRAPH })).contents[0].text);
const server = client.getServerVersion();
await client.close();
console.log(JSON.stringify({ server, tools, made, told: uri, wrong, graph }));
