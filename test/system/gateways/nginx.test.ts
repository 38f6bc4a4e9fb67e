// nginx, with the configuration of examples/nginx.
import { checkGateway } from './checks.js';
import { describeWith, nginx } from './gateway.js';

describeWith(nginx, () => checkGateway(nginx));
