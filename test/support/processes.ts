// Processes by their numbers.

/** @param pid a negative one stands for any process of that group (kill(2)) */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
