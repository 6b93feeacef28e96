import type {
  AnswerStore,
  Claim,
  ClaimedCall,
  KeepTerms,
  KeptAnswer,
} from '../contracts/answer-store.ts'
import type { Note, NoteStore, RecordFilter, RecordStore } from '../contracts/store.ts'
import { readLine } from './messages.ts'

/** What a worker needs of the store while it answers requests. */
export type SharedStore = {
  readonly answers: AnswerStore
  readonly notes: NoteStore
  readonly records: Pick<RecordStore, 'list'>
}

type SentAnswer = Omit<KeptAnswer, 'body'> & { readonly body: string | null }
type SentClaim =
  | Exclude<Claim, { kind: 'kept' }>
  | { readonly kind: 'kept'; readonly answer: SentAnswer }

type Question =
  | { readonly ask: 'claim' | 'renew' | 'release'; readonly call: ClaimedCall }
  | {
      readonly ask: 'keep'
      readonly call: ClaimedCall
      readonly answer: SentAnswer
      readonly terms: KeepTerms
    }
  | { readonly ask: 'notes'; readonly kind: string }
  | { readonly ask: 'note' | 'delete-note'; readonly kind: string; readonly name: string }
  | {
      readonly ask: 'records'
      readonly filter: RecordFilter
      readonly page: Parameters<RecordStore['list']>[1]
    }
  | { readonly ask: 'put-notes'; readonly kind: string; readonly notes: readonly Note[] }

type Waiting = {
  readonly resolve: (text: string) => void
  readonly reject: (error: Error) => void
}

/** The worker's side: every call is a question to the owner, which has the store. */
export class StoreCalls {
  readonly #send: (line: string) => void
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  constructor(send: (line: string) => void) {
    this.#send = send
  }

  /** `leaseMs`: of the store. */
  store(leaseMs: number): SharedStore {
    const done = async (question: Question): Promise<boolean> =>
      readLine<boolean>(await this.#ask(question))
    return {
      answers: {
        leaseMs,
        claim: async (call) => received(readLine(await this.#ask({ ask: 'claim', call }))),
        renew: (call) => done({ ask: 'renew', call }),
        keep: (call, answer, terms) => done({ ask: 'keep', call, answer: sent(answer), terms }),
        release: async (call) => void (await this.#ask({ ask: 'release', call })),
        // The owner does so for all.
        prune: async () => 0,
      },
      notes: {
        list: async (kind) => readLine<readonly Note[]>(await this.#ask({ ask: 'notes', kind })),
        get: async (kind, name) =>
          readLine<Note | null>(await this.#ask({ ask: 'note', kind, name })),
        delete: (kind, name) => done({ ask: 'delete-note', kind, name }),
        put: async (kind, notes) => void (await this.#ask({ ask: 'put-notes', kind, notes })),
        prune: async () => 0,
      },
      records: {
        list: async (filter, page) => readLine(await this.#ask({ ask: 'records', filter, page })),
      },
    }
  }

  onAnswer(text: string): void {
    const at = text.indexOf('\t')
    this.#take(text.slice(0, at))?.resolve(text.slice(at + 1))
  }

  onFailed(text: string): void {
    const at = text.indexOf('\t')
    const message = readLine<string>(text.slice(at + 1))
    this.#take(text.slice(0, at))?.reject(new Error(message))
  }

  #ask(question: Question): Promise<string> {
    this.#last += 1
    const number = this.#last
    this.#send(`Q${number}\t${JSON.stringify(question)}`)
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
    })
  }

  #take(number: string): Waiting | undefined {
    const waiting = this.#waiting.get(Number(number))
    this.#waiting.delete(Number(number))
    return waiting
  }
}

/** The owner's side. Never throws. */
export async function answerStoreCall(
  store: SharedStore,
  text: string,
  send: (line: string) => void,
): Promise<void> {
  const at = text.indexOf('\t')
  const number = text.slice(0, at)
  try {
    const value = await answerTo(store, readLine<Question>(text.slice(at + 1)))
    send(`q${number}\t${JSON.stringify(value)}`)
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    send(`w${number}\t${JSON.stringify(message)}`)
  }
}

async function answerTo(
  { answers, notes, records }: SharedStore,
  question: Question,
): Promise<unknown> {
  switch (question.ask) {
    case 'claim': {
      const claim = await answers.claim(question.call)
      return claim.kind === 'kept' ? { kind: 'kept', answer: sent(claim.answer) } : claim
    }
    case 'renew':
      return await answers.renew(question.call)
    case 'release':
      await answers.release(question.call)
      return null
    case 'keep': {
      const { call, answer, terms } = question
      return await answers.keep(call, whole(answer), terms)
    }
    case 'notes':
      return await notes.list(question.kind)
    case 'note':
      return await notes.get(question.kind, question.name)
    case 'delete-note':
      return await notes.delete(question.kind, question.name)
    case 'records':
      return await records.list(question.filter, question.page)
    case 'put-notes':
      await notes.put(question.kind, question.notes)
      return null
  }
}

function sent(answer: KeptAnswer): SentAnswer {
  return { ...answer, body: answer.body === null ? null : answer.body.toString('base64') }
}

function whole(answer: SentAnswer): KeptAnswer {
  return { ...answer, body: answer.body === null ? null : Buffer.from(answer.body, 'base64') }
}

function received(claim: SentClaim): Claim {
  return claim.kind === 'kept' ? { kind: 'kept', answer: whole(claim.answer) } : claim
}
