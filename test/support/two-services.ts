// Two services and a database of their own, which a test may crash or freeze; and somebody who uses them.
import { createOwnCluster, type OwnCluster } from './own-cluster.js';
import { settle, type Resident } from './resident.js';
import { createWorkshop, environmentFor, type Service } from './service.js';

export interface TwoServices {
  cluster: OwnCluster;
  services: Service[];
  resident: Resident;
  /** One of them, in turn. */
  at: (turn: number) => Service;
  /** Stops and removes everything; close it in `afterAll`. */
  close: () => Promise<void>;
}

export async function openTwoServices(): Promise<TwoServices> {
  const workshop = createWorkshop();
  const cluster = await createOwnCluster();
  const close = async () => {
    await workshop.clear();
    await cluster.remove();
  };
  try {
    const environment = environmentFor(cluster.url);
    const [one, other] = [await workshop.start(environment), await workshop.start(environment)];
    const at = (turn: number) => (turn % 2 === 0 ? one : other);
    return { cluster, services: [one, other], resident: await settle(cluster.url), at, close };
  } catch (error) {
    await close();
    throw error;
  }
}
