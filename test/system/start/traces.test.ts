// OTEL_EXPORTER_OTLP_ENDPOINT: each process that serves sends its spans, also the last ones; a collector that is away costs a line.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { linesOf } from '../../support/connections.js';
import { openHouse, type House } from '../../support/house.js';
import { openOtlpReceiver, type OtlpReceiver } from '../../support/otlp-receiver.js';
import { ask, createWorkshop, environmentFor, type Service } from '../../support/service.js';

/** What is waited for comes at once but for what else the machine does. */
const PATIENCE = { timeout: 120_000, interval: 50 };

const workshop = createWorkshop();
let house: House;
let receiver: OtlpReceiver;

beforeAll(async () => {
  house = await openHouse();
  receiver = await openOtlpReceiver();
});
afterEach(() => workshop.clear());
afterAll(async () => {
  await receiver.close();
  await house.close();
});

function start(environment: Record<string, string> = {}): Promise<Service> {
  return workshop.start({
    ...environmentFor(house.database.url),
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    ...environment,
  });
}

/** Answered 401; on a busy machine also 503, if no turn to hash comes in time. */
async function failToLogIn(service: Service): Promise<void> {
  const body = { username: `nobody-${randomUUID()}`, password: 'a password of nobody' };
  expect([401, 503]).toContain((await ask(service, 'POST', '/login', { body })).status);
}

it('sends what is left when it leaves, and names the trace in its log', async () => {
  // What takes the collector too long is lost, and the machine may stand still for so long.
  await vi.waitUntil(async () => {
    receiver.spans.splice(0);
    const service = await start({ OTEL_BSP_SCHEDULE_DELAY: '600000' });
    await failToLogIn(service);
    expect(await service.stop('SIGINT')).toEqual({ code: 0, signal: null });
    const [span] = receiver.named('POST /login');
    const line = linesOf(service).find(({ url }) => url === '/login');
    if (span !== undefined) expect(line).toMatchObject({ trace_id: span.traceId, span_id: span.spanId });
    return receiver.named('argon2').length > 0;
  }, PATIENCE);
});

it('with WORKERS each sends its own', async () => {
  receiver.spans.splice(0);
  const service = await start({ WORKERS: '2', OTEL_BSP_SCHEDULE_DELAY: '100' });
  const instances = () => new Set(receiver.spans.map(({ resource }) => resource['service.instance.id']));
  await vi.waitUntil(async () => {
    // A new connection each time, so that both get some.
    await ask(service, 'GET', '/', { headers: { connection: 'close' } });
    return instances().size === 2;
  }, PATIENCE);
});

it('serves and leaves as ever when the collector is away, and says so once', async () => {
  const away = `http://127.0.0.1:${await findFreePort()}`;
  const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: away, OTEL_BSP_SCHEDULE_DELAY: '100' });
  const said = () => linesOf(service).filter(({ msg }) => String(msg).startsWith('spans cannot be sent'));
  await vi.waitUntil(async () => {
    await failToLogIn(service);
    return said().length > 0;
  }, PATIENCE);
  await failToLogIn(service);
  expect(await service.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(said()).toHaveLength(1);
  expect(service.output.stderr).toBe('');
});
