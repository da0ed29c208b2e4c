/** One operation of each kind that the API offers, ready to be run. */
import { uuid7 } from "../api/uuid7.ts";

export interface Example {
  /** The field of the schema that it shows. */
  field: string;
  about: string;
  query: string;
  /** Made anew each time: a submission that is sent twice under one id counts once. */
  variables?: () => Record<string, unknown>;
}

const player = { userId: "42" };

export const EXAMPLES: readonly Example[] = [
  {
    field: "leaderboard",
    about: "The top of the board; pass endCursor as after for the next page",
    query: `query Leaderboard($first: Int = 10, $after: String) {
  leaderboard(first: $first, after: $after) {
    totalCount
    cached
    asOf
    nodes {
      rank
      userId
      username
      totalScore
      gamesPlayed
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
  },
  {
    field: "submitScore",
    about: "Record a session and get the new rank; run it twice and it still counts once",
    query: `mutation SubmitScore($input: SubmitScoreInput!) {
  submitScore(input: $input) {
    duplicate
    session {
      id
      playedAt
    }
    standing {
      rank
      totalScore
      gamesPlayed
      percentile
    }
  }
}
`,
    variables: () => ({
      input: {
        ...{ userId: "42", username: "Ada", score: 1200, gameMode: "solo", durationSeconds: 300 },
        submissionId: uuid7(),
      },
    }),
  },
  {
    field: "submitScores",
    about: "Up to 1000 sessions at once; the second one is refused, the first goes in",
    query: `mutation SubmitScores($inputs: [SubmitScoreInput!]!) {
  submitScores(inputs: $inputs) {
    payload {
      duplicate
      standing {
        userId
        rank
        totalScore
      }
    }
    error {
      code
      message
    }
  }
}
`,
    variables: () => ({
      inputs: [
        { userId: "7", username: "Grace", score: 900, submissionId: uuid7() },
        { userId: "not a number", username: "Nobody", score: 1 },
      ],
    }),
  },
  {
    field: "topChanged",
    about: "The top now and whenever it changes; submit a score in another tab",
    query: `subscription TopChanged($first: Int = 10) {
  topChanged(first: $first) {
    sequence
    asOf
    entries {
      rank
      userId
      username
      totalScore
    }
  }
}
`,
  },
  {
    field: "rank",
    about: "Where one player stands, and the latest sessions",
    query: `query Rank($userId: ID!) {
  rank(userId: $userId) {
    rank
    username
    totalScore
    gamesPlayed
    lastPlayed
    percentile
    joinedAt
    recentSessions(first: 3) {
      score
      playedAt
    }
  }
}
`,
    variables: () => player,
  },
  {
    field: "ranks",
    about: "Several players at once, in the order asked for",
    query: `query Ranks($userIds: [ID!]!) {
  ranks(userIds: $userIds) {
    userId
    username
    rank
    totalScore
  }
}
`,
    variables: () => ({ userIds: ["42", "7", "1"] }),
  },
  {
    field: "around",
    about: "A player among the neighbours above and below",
    query: `query Around($userId: ID!, $radius: Int = 3) {
  around(userId: $userId, radius: $radius) {
    rank
    userId
    username
    totalScore
  }
}
`,
    variables: () => player,
  },
  {
    field: "history",
    about: "A player's sessions, newest first",
    query: `query History($userId: ID!, $first: Int = 20, $after: String, $gameMode: String) {
  history(userId: $userId, first: $first, after: $after, gameMode: $gameMode) {
    totalCount
    nodes {
      id
      score
      gameMode
      durationSeconds
      playedAt
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
    variables: () => player,
  },
];
