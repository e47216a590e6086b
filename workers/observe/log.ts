// Structured logs: one JSON line an event. What goes in is named field by field by the caller;
// keys, prompts and answers have no field.

type LogValue = string | number | boolean | null | undefined | readonly LogValue[] | LogFields;
interface LogFields {
  readonly [name: string]: LogValue;
}

/** Writes one line; undefined fields are left out. */
export function log(event: string, fields: LogFields = {}): void {
  console.log(JSON.stringify({ event, ...fields }));
}

/** What D1 said. The words that drizzle wraps around it hold the parameters: not for a log. */
export function causeOf(error: unknown): string {
  return String(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
