"""Operations compiled once into plain Python, and executed many times without the GraphQL library.

graphql-core walks the document anew for each request and each row. Here the walk is made once: `selection` collects
what is asked for, `reader` turns variables into the arguments of the root resolvers, `writer` makes one function that
turns what they return into the answer, `operation` puts the three together.

The compiled form knows only the case in which everything goes well. Whatever else comes up (a variable that does not
fit, a value that its type cannot hold, a field that loads) is left to graphql-core, which then runs the operation or
finishes it from the results at hand, so that both ways give the same answers, errors included. The tests compare them.
"""
