//! Walks over plans and expressions, each compiled once.
//!
//! DataFusion's walks are generic over the function that they call: for each closure, all that goes down a tree is compiled
//! anew, a hundred kilobytes of it. These take the function by reference, so that whatever is walked for, there is one
//! copy; a plan has some hundred nodes, and the call costs nothing beside what is done there.

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, LogicalPlan},
};

/// What changes a node.
type Change<'a, T> = &'a mut dyn FnMut(T) -> Result<Transformed<T>>;
/// What looks at a node, and says where to go on.
type Look<'a, 'n, T> = &'a mut dyn FnMut(&'n T) -> Result<TreeNodeRecursion>;

/// Walks over a tree.
pub trait Walk: Sized {
    /// Changes each node, those below it first.
    fn up(self, change: Change<'_, Self>) -> Result<Transformed<Self>>;
    /// Changes each node, then those below what became of it.
    fn down(self, change: Change<'_, Self>) -> Result<Transformed<Self>>;
    /// Looks at each node, then at those below it.
    fn each<'n>(&'n self, look: Look<'_, 'n, Self>) -> Result<TreeNodeRecursion>;

    /// Whether `is` says yes of any node.
    fn any(&self, is: &mut dyn FnMut(&Self) -> Result<bool>) -> Result<bool> {
        let mut found = false;
        self.each(&mut |node| {
            found = is(node)?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        Ok(found)
    }
}

impl<T: TreeNode> Walk for T {
    fn up(self, change: Change<'_, Self>) -> Result<Transformed<Self>> {
        self.transform_up(change)
    }

    fn down(self, change: Change<'_, Self>) -> Result<Transformed<Self>> {
        self.transform_down(change)
    }

    fn each<'n>(&'n self, look: Look<'_, 'n, Self>) -> Result<TreeNodeRecursion> {
        self.apply(look)
    }
}

/// Walks over a plan that go into the subqueries of its expressions, and to its expressions.
pub trait WalkPlan: Sized {
    /// As [`Walk::up`].
    fn up_with_subqueries(self, change: Change<'_, Self>) -> Result<Transformed<Self>>;
    /// As [`Walk::down`].
    fn down_with_subqueries(self, change: Change<'_, Self>) -> Result<Transformed<Self>>;
    /// As [`Walk::each`].
    fn each_with_subqueries(
        &self,
        look: &mut dyn FnMut(&Self) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion>;
    /// Looks at the expressions of this node.
    fn each_expression(&self, look: &mut dyn FnMut(&Expr) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion>;
    /// Changes the expressions of this node.
    fn change_expressions(self, change: Change<'_, Expr>) -> Result<Transformed<Self>>;
}

impl WalkPlan for LogicalPlan {
    fn up_with_subqueries(self, change: Change<'_, Self>) -> Result<Transformed<Self>> {
        self.transform_up_with_subqueries(change)
    }

    fn down_with_subqueries(self, change: Change<'_, Self>) -> Result<Transformed<Self>> {
        self.transform_down_with_subqueries(change)
    }

    fn each_with_subqueries(
        &self,
        look: &mut dyn FnMut(&Self) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.apply_with_subqueries(look)
    }

    fn each_expression(&self, look: &mut dyn FnMut(&Expr) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        self.apply_expressions(look)
    }

    fn change_expressions(self, change: Change<'_, Expr>) -> Result<Transformed<Self>> {
        self.map_expressions(change)
    }
}
