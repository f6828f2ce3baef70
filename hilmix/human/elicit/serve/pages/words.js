// What the pages ask, in the third person (what would others say) and in the first (what do you see).

const OTHERS = "100 other people";

const MIDPOINT = {
  third: ([one, two]) => `Which mix would ${OTHERS} say is half ${one} and half ${two}?`,
  first: ([one, two]) => `Which mix do you see as half ${one} and half ${two}?`,
};
const QUESTIONS = {
  construct: MIDPOINT,
  select: MIDPOINT,
  infer: {
    third: () => `How much of each class would ${OTHERS} say is in this picture?`,
    first: () => "How much of each class do you see in this picture?",
  },
  categorical: {
    third: () => `Which classes would ${OTHERS} say this picture shows?`,
    first: () => "Which classes do you see in this picture?",
  },
  vote: {
    third: () => `Which class would ${OTHERS} say this picture shows?`,
    first: () => "Which class do you see in this picture?",
  },
};

/** The question of a trial; `names` are the classes of the two images, where the task names them. */
export const question = (task, wording, names) => QUESTIONS[task][wording](names);

export const IMPOSSIBLE = {
  third: `Tick every class of which ${OTHERS} would say that it is impossible.`,
  first: "Tick every class that you find impossible.",
};
