"""Crowds that may be looked at while an aggregator is developed, fixed before any search.

Every other one of the 16 sets in alphabetical order. The others are scored once, when the method is finished. What
this cannot undo: the tables of the earlier aggregators on all 16 sets were known, and so was that ``ducks`` is the set
on which models of annotators lose to the vote. Of three pairs of sets that share their kind of question
(``sentiment_polarity*``, ``weather_sentiment_*``, ``zencrowd_*``) one lies on either side.
"""

DEVELOPMENT = (
    "bluebirds",
    "ducks",
    "music_genre",
    "product_matching",
    "sentiment_polarity",
    "temporal_order",
    "weather_sentiment_cf",
    "zencrowd_in",
)
CONFIRMATION = (
    "dogs",
    "face_sentiment",
    "pos_tagging",
    "rte",
    "sentiment_polarity_amt",
    "weather_sentiment_amt",
    "word_sense",
    "zencrowd_us",
)
