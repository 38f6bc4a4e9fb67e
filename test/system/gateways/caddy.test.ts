// Caddy, with the configuration of examples/caddy.
import { checkGateway } from './checks.js';
import { caddy, describeWith } from './gateway.js';

describeWith(caddy, () => checkGateway(caddy));
