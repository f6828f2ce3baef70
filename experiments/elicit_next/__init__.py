"""Does it pay to ask what ``hilmix elicit next`` proposes?"""
