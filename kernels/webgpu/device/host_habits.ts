/** What hosts do differently from each other. */

/** How a host's WebGPU behaves where it could behave otherwise. */
export interface HostHabits {
  /**
   * Whether writes to one place again and again go through buffers that are mapped anew behind each run; so unless told. Where a
   * host holds up its thread for each mapping and copies what is mapped, that costs more than it saves.
   */
  readonly stagesUploads?: boolean;
  /**
   * Whether `mapAsync` waits for the device before it returns, and a buffer that was mapped before can be read at once, although
   * the promise resolves only later; not so unless told.
   */
  readonly mapsEarly?: boolean;
}
