//! Boxes of the state space, as a tree of cuts.

/// A division of the state space into boxes.
#[derive(Debug, Clone)]
pub(super) struct Partition {
    nodes: Vec<Node>,
    boxes: usize,
}

#[derive(Debug, Clone)]
enum Node {
    Box(usize),
    /// A cut across one unit: the nodes on its two sides.
    Cut {
        cut: Cut,
        below: usize,
        above: usize,
    },
}

/// A cut of a box: y of the unit up to the threshold, and above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) unit: usize,
    pub(super) threshold: f64,
}

impl Cut {
    /// Whether a state is above.
    pub(super) fn is_below(self, y: &[f64]) -> bool {
        y[self.unit] <= self.threshold
    }
}

impl Partition {
    /// One box, number 0.
    pub(super) fn whole() -> Self {
        Self { nodes: vec![Node::Box(0)], boxes: 1 }
    }

    /// Number of boxes.
    pub(super) fn boxes(&self) -> usize {
        self.boxes
    }

    /// The box of a state.
    pub(super) fn locate(&self, y: &[f64]) -> usize {
        let mut node = 0;
        loop {
            match self.nodes[node] {
                Node::Box(number) => return number,
                Node::Cut { cut, below, above } => {
                    node = if cut.is_below(y) { below } else { above }
                }
            }
        }
    }

    /// Cuts a box. The lower part keeps its number, the upper part gets the returned one.
    pub(super) fn cut(&mut self, number: usize, cut: Cut) -> usize {
        let is_it = |node: &Node| matches!(node, Node::Box(other) if *other == number);
        if let Some(place) = self.nodes.iter().position(is_it) {
            let below = self.nodes.len();
            self.nodes.extend([Node::Box(number), Node::Box(self.boxes)]);
            self.nodes[place] = Node::Cut { cut, below, above: below + 1 };
            self.boxes += 1;
        }
        self.boxes - 1
    }
}
