// Where the servers of far-side.ts listen: what its process gives to the tests inside workerd.

declare module 'vitest' {
  interface ProvidedContext {
    far: FarPlace;
  }
}

export interface FarPlace {
  readonly url: string;
  /** Of the server that counts connections. */
  readonly evilPort: number;
}

/** A request as it arrived there; a test finds its own by the mark in its query. */
export interface Kept {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  /** Base64. */
  readonly body: string;
}
