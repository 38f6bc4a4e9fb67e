// @ts-check
// The outages of a run that lengthen replay windows: clients who sleep through one learn here that it comes, and when it is over.

/** @typedef {ReturnType<typeof createOutages>} Outages */

export function createOutages() {
  let announced = 0;
  let begun = 0;
  let underWay = 0;
  return {
    /** How many have been announced until now. */
    announced: () => announced,
    /** One is about to begin. */
    announce: () => {
      announced += 1;
    },
    /** How many have begun until now. */
    begun: () => begun,
    /** Whether one is under way. */
    isOn: () => underWay > 0,
    /**
     * One that lasts as long as `work` takes.
     *
     * @template T
     * @param {() => Promise<T>} work
     */
    during: async (work) => {
      begun += 1;
      underWay += 1;
      try {
        return await work();
      } finally {
        underWay -= 1;
      }
    },
  };
}
